"""`luna doctor`: looks whether this box is well, and says of each finding what mends it.

One module a subject, each with ``check(box) -> Iterator[Finding]``; :data:`CHECKS` has them in
the order of the report. What they share is in :mod:`appliance.doctor.finding`; they are carried
out by :mod:`appliance.doctor.runner`.
"""
