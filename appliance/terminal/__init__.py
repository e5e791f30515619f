"""`luna terminal`: chat, state and health in a terminal, over the same events as all else.

``app`` puts the parts together: ``transcript`` (what was said, drawn line by line), ``prompt``
(what is typed), ``bars`` and ``health`` (what Luna is doing), ``screens`` (what opens above).
``keys`` is the one table of what can be done and how; ``service`` is the way to the running Luna.
"""
