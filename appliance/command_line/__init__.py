"""What can be typed after `luna`: one module a group of commands, in the order of the help.

To add a command:

1. Call ``add`` in ``add_commands`` of the group's module here, with its name, a summary and an
   example. Nothing here imports what the commands do, because `luna --help` answers at once.
2. Write what it does as ``run(arguments, settings) -> int`` in ``appliance/actions/<name>.py``
   (another module or function: ``action="module:function"``; ``settings=False`` for
   ``run(arguments)``, which works while the configuration is broken). It returns the exit code
   and raises ``LunaError`` with one sentence.
3. Add its name to ``COMMANDS`` of ``tests/test_cli.py`` and to the README's table.

A new group is a module with ``TITLE`` and ``add_commands``, named in ``GROUPS`` of
``appliance/cli.py``. Help, completion and man pages are made from these definitions.
"""
