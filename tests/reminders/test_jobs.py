"""Scheduled jobs on virtual time."""

from __future__ import annotations

import asyncio

import pytest

from appliance.errors import LunaError, UsageError
from appliance.events import JobFinished
from appliance.reminders.jobs import Job, Jobs, daily, every_minutes, maintain
from appliance.reminders.report import daily_report
from tests.reminders.test_keeper import Box, virtually


def jobs_of(box: Box, *jobs: Job) -> Jobs:
    keeper = box.keeper
    return Jobs(jobs, keeper._store, box.disk, keeper, box.events.append)


def job(name: str, rule: str, fails: bool = False) -> Job:
    async def run() -> str:
        if fails:
            raise LunaError("it did not work")
        return f"{name} is done."

    return Job(name, rule, run)


def ran(box: Box) -> list[str]:
    return [event.name for event in box.of(JobFinished)]


@virtually
async def test_at_their_times_and_by_hand(box: Box) -> None:
    await box.on()
    jobs = jobs_of(
        box, job("report", daily("10:00")), job("check", every_minutes(60)), job("x", "")
    )
    await jobs.start()
    await asyncio.sleep(3700)  # from nine
    assert ran(box).count("report") == 1
    assert ran(box).count("check") in (1, 2)
    await asyncio.sleep(86_400)
    assert ran(box).count("report") == 2
    assert 24 <= ran(box).count("check") <= 26
    finished = await jobs.run("x", "mark")
    assert (finished.ok, finished.text, finished.request) == (True, "x is done.", "mark")
    with pytest.raises(UsageError, match="there are: report, check, x"):
        await jobs.run("y")
    await jobs.stop()


@virtually
async def test_what_came_while_the_box_was_off_runs_once(box: Box) -> None:
    await box.on()
    jobs = jobs_of(box, job("report", daily("10:00")))
    await jobs.start()
    await asyncio.sleep(86_400)
    assert ran(box) == ["report"]
    await jobs.stop()
    await box.off(2 * 3600)
    await box.on()
    jobs = jobs_of(box, job("report", daily("10:00")))
    await jobs.start()
    await asyncio.sleep(300)
    assert ran(box) == ["report", "report"]
    await jobs.stop()


@virtually
async def test_one_that_fails_says_so_and_is_alone(box: Box) -> None:
    await box.on()

    async def breaks() -> str:
        raise ZeroDivisionError

    jobs = jobs_of(box, job("bad", "", fails=True), Job("worse", "", breaks))
    assert await jobs.run("bad") == box.of(JobFinished)[0]
    assert box.of(JobFinished)[0].text == "it did not work"
    assert not (await jobs.run("worse")).ok


@virtually
async def test_the_report_and_maintenance(box: Box) -> None:
    keeper = await box.on()
    assert daily_report(keeper, "pt") == "O relatório do dia. Não há nada para hoje."
    await box.add(box.at(10))
    await box.add(box.at(10, day=2))
    report = daily_report(keeper, "en", ["All is well."])
    assert report == (
        "The report of the day. Today: call Ana, today at ten in the morning. All is well."
    )

    async def fine() -> str:
        return "fine"

    async def broken() -> str:
        raise LunaError("full")

    assert await maintain({"a": fine, "b": fine}) == "fine fine"
    with pytest.raises(LunaError, match="backup: full"):
        await maintain({"backup": broken, "a": fine})


@virtually
async def test_purge_forgets_what_is_over(box: Box) -> None:
    keeper = await box.on()
    await box.add(box.at(9, 10))
    await box.add(box.at(9, 20))
    await box.add(box.at(9, 10, day=9))
    await asyncio.sleep(86_400)
    assert await keeper.purge((keeper.time().wall).isoformat()) == 2
    assert list(keeper.records) == [3]
    await keeper.compact()


def test_rules() -> None:
    assert daily("") == every_minutes(0) == ""
    assert daily("07:05") == "FREQ=DAILY;BYHOUR=7;BYMINUTE=5;BYSECOND=0"
