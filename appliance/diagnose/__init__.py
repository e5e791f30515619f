"""What Luna's log says of what went wrong: read it, gather evidence, name the cause.

:mod:`~appliance.diagnose.entries` reads lines in each form in which a log may come,
:mod:`~appliance.diagnose.evidence` sorts them, :mod:`~appliance.diagnose.causes` draws
conclusions, and :mod:`~appliance.diagnose.report` writes them down. All of that is pure;
:mod:`~appliance.diagnose.sources` fetches the log.
"""
