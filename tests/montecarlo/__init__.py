"""The promises of the judge, measured: false alarms, time to detect, and what today's policies do on the same traffic.

`make montecarlo` runs all of it (fixed seeds, two processes, a few minutes), compares every number with its gate, and
writes build/montecarlo.json and docs/reference/judge-montecarlo.md. A small part of it runs in `make test`.

    vectorised.py    the e-processes for thousands of rollouts at once; proven equal to rollout.core.sequential
    traffic.py       requests, failures, bursts, latencies
    policies.py      Flagger, Argo Rollouts, Kayenta, p-values: the same traffic, their rules
    judging.py       what a judge is to this harness, and the reference judge
    false_alarms.py  detection.py  latency.py  rollouts.py  robustness.py    the experiments
    gates.py         every number that must hold, and every published number that must reproduce
    report.py        JSON and Markdown
"""
