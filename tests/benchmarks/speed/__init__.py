"""How fast rslcore trains beside its peers, in turns, on one machine.

workloads.py    what is trained: a table
contenders.py   who trains it: a table
worker.py       the process of a contender, which makes an iteration when it is told to
race.py         the rounds of a workload, in turns, and what they say: medians, quartiles, ratios
report.py       the printed table, the JSON and the picture
machine.py      on what it was measured
command.py      the command line
ours.py, rsl_rl_peer.py, skrl_peer.py, sb3_peer.py, cleanrl_peer.py, roofline.py
                the contenders, each a function `train(workload, options, turns)`
"""
