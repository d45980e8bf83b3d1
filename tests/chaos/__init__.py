# SPDX-License-Identifier: Apache-2.0
"""Everything is killed or stands still at random, under load; nothing is lost, and nothing done twice.

legacy     a department's old system: does what it is asked once for each idempotency key, and counts
machines   the processes: started, killed, paused, started again
plan       what happens to whom, and when, out of a seed
load       callers that send asynchronously until the hub has acknowledged
judgement  what has to hold afterwards

`make chaos` runs five minutes of it; tests/journeys/test_chaos.py a shorter form.
"""
