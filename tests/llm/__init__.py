"""Tests of the language models' worker."""

import os

from appliance.llm.process import SPIN_COUNT

# As in the worker, and before the library that reads it is loaded: beside other busy processes
# the tests would take ten times as long.
os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
