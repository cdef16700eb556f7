"""The scheduler, alone and under a simulated flood of voices."""

from __future__ import annotations

import random

from captioning.scheduler import Job, Scheduler, SchedulerSettings


def next_of(scheduler: Scheduler, now: float) -> Job | None:
    jobs = scheduler.batch(now, 1)
    return jobs[0] if jobs else None


def test_finals_come_first_then_the_oldest_interim() -> None:
    scheduler = Scheduler()
    scheduler.offer_interim("a", 0, 1.0)
    scheduler.offer_interim("b", 0, 0.5)
    scheduler.offer_final("c", 0, 2.0)
    jobs = [next_of(scheduler, 2.0) for _ in range(4)]
    assert [(j.stream, j.final) if j else None for j in jobs] == [("c", True), ("b", False), ("a", False), None]


def test_a_newer_interim_of_a_stream_replaces_the_older_and_keeps_its_place() -> None:
    scheduler = Scheduler()
    scheduler.offer_interim("a", 0, 1.0)
    scheduler.offer_interim("b", 0, 2.0)
    scheduler.offer_interim("a", 0, 3.0)
    first = next_of(scheduler, 3.0)
    assert first is not None and first.stream == "a" and first.since == 1.0
    second = next_of(scheduler, 3.0)
    assert second is not None and second.stream == "b"
    assert next_of(scheduler, 3.0) is None


def test_a_final_makes_the_interim_of_its_utterance_needless() -> None:
    scheduler = Scheduler()
    scheduler.offer_interim("a", 0, 1.0)
    scheduler.offer_final("a", 0, 1.1)
    job = next_of(scheduler, 1.2)
    assert job is not None and job.final
    assert next_of(scheduler, 9.0) is None
    assert scheduler.shed == 1


def test_interims_of_one_stream_keep_their_distance_unless_the_speaker_paused() -> None:
    scheduler = Scheduler(SchedulerSettings(shortest=1.0, first_cost=0.1))
    scheduler.offer_interim("a", 0, 0.0)
    assert next_of(scheduler, 0.0) is not None
    scheduler.offer_interim("a", 0, 0.2)
    assert next_of(scheduler, 0.3) is None
    assert scheduler.wait(0.3) == 0.7
    scheduler.offer_interim("a", 0, 0.4, full=True)
    scheduler.offer_interim("a", 0, 0.45)
    job = next_of(scheduler, 0.5)
    assert job is not None and job.full


def test_a_forgotten_stream_leaves_no_interim_but_its_finals() -> None:
    scheduler = Scheduler()
    scheduler.offer_final("a", 0, 0.0)
    scheduler.offer_interim("a", 1, 0.1)
    scheduler.forget("a")
    job = next_of(scheduler, 0.2)
    assert job is not None and job.final
    assert next_of(scheduler, 0.2) is None and scheduler.wait(0.2) is None


def simulate(
    voices: int, seconds: float, interim_cost: float = 0.45, final_cost: float = 0.6
) -> tuple[float, int, int, int, bool]:
    """Everybody talks all the time in utterances of about five seconds, on one recogniser.

    Returns (worst wait of a final, finals offered, finals done, interims done, ever overloaded)."""
    chance = random.Random(7)
    scheduler = Scheduler()
    ends = {f"v{i}": chance.uniform(0.5, 5.0) for i in range(voices)}
    number = dict.fromkeys(ends, 0)
    now, free_at, worst = 0.0, 0.0, 0.0
    offered = done = interims = 0
    overloaded = False
    while now < seconds:
        for voice, end in ends.items():
            if now >= end:
                scheduler.offer_final(voice, number[voice], now)
                offered += 1
                number[voice] += 1
                ends[voice] = now + chance.uniform(3.0, 7.0)
            else:
                scheduler.offer_interim(voice, number[voice], now)
        if now >= free_at and (job := next_of(scheduler, now)) is not None:
            cost = final_cost if job.final else interim_cost
            free_at = now + cost
            scheduler.finished(job, cost)
            if job.final:
                worst = max(worst, now - job.since)
                done += 1
            else:
                interims += 1
        overloaded |= scheduler.overloaded
        now += 0.03
    assert offered - done == scheduler.queue()
    return worst, offered, done, interims, overloaded


def test_one_voice_gets_interims_about_three_times_in_two_seconds() -> None:
    worst, _, _, interims, overloaded = simulate(1, 60)
    assert worst < 0.7
    assert interims > 70
    assert not overloaded


def test_three_times_more_voices_than_cores_keep_their_finals_prompt() -> None:
    worst, offered, done, interims, _ = simulate(3, 300)
    assert worst < 2.5
    assert offered - done <= 2
    assert interims > 100


def test_eight_voices_on_one_core_stop_interims_and_the_lag_stays_bounded() -> None:
    worst, offered, done, interims, overloaded = simulate(8, 600, final_cost=0.45)
    assert overloaded
    assert worst < 10.0, "it must not grow with time"
    assert offered - done <= 8, "no final may be lost"
    assert interims < offered
    longer = simulate(8, 1_800, final_cost=0.45)[0]
    assert longer < 12.0


def test_interims_come_back_when_the_flood_is_over() -> None:
    scheduler = Scheduler()
    for index in range(12):
        scheduler.offer_interim(f"v{index}", 0, 0.0)
    assert next_of(scheduler, 0.0) is None
    assert scheduler.overloaded
    scheduler.offer_interim("v0", 0, 10.0)
    assert next_of(scheduler, 10.0) is not None
    assert not scheduler.overloaded


def test_what_is_ready_is_done_together_by_kind_and_one_of_each_stream() -> None:
    scheduler = Scheduler()
    for stream, number in (("a", 0), ("a", 1), ("b", 0), ("c", 0)):
        scheduler.offer_final(stream, number, 1.0)
    scheduler.offer_interim("d", 0, 1.0, full=True)
    scheduler.offer_interim("e", 0, 1.1)
    scheduler.offer_interim("f", 0, 1.2)

    def batch(most: int) -> list[tuple[str, int]]:
        return [(job.stream, job.utterance) for job in scheduler.batch(2.0, most)]

    assert batch(2) == [("a", 0), ("b", 0)]
    assert batch(4) == [("a", 1), ("c", 0)], "a stream's finals come one after the other"
    assert batch(4) == [("d", 0)], "a full pass and a draft are different work"
    assert batch(4) == [("e", 0), ("f", 0)]
    assert batch(4) == []
