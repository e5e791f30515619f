"""Updates of a box that has two root slots: one runs, the other takes the next version.

``bundle`` is the signed file, ``source`` reads one from a disk or the web, ``slots`` is what the
boot loader will do as a pure core, ``loaders`` writes the boot partition, ``writer`` fills a slot,
``updater`` puts them together, and ``gate`` decides whether a new version may stay.
"""
