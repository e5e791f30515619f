"""Sets a box without a keyboard up from two files that its owner put on the boot partition.

``luna.txt`` has lines ``key = value``; ``authorized_keys`` has the SSH keys that may log in. Both
are read at each start (:mod:`owner_files`). What is understood is kept on the data partition
(:mod:`keep`, :mod:`board`); what is not is reported (:mod:`report`), and the rest still holds.
What was secret is taken out of ``luna.txt`` once it is kept. It runs as root, before anything that
depends on it, and imports nothing heavy unless the board is another one.
"""
