"""Board profiles: which sound card, button and LEDs a board has, and how a system is set up for it.

``profile`` reads and checks them, ``lint`` knows what cannot work, ``detect`` looks which board is
there, ``apply`` writes the files that make it work, ``wizard`` asks a person for a new one.
"""
