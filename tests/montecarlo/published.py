"""The numbers the design was decided on (a prototype's simulations, other code and other seeds), to be reproduced here.

NEVER stands for "less than half of the rollouts within the hour".
"""

from math import inf

NEVER = inf

FALSE_ALARM_CELLS = (
    (10, 0.001),
    (10, 0.005),
    (10, 0.009),
    (100, 0.001),
    (100, 0.005),
    (100, 0.009),
    (1000, 0.001),
    (1000, 0.009),
)
# per cent of good releases rolled back, per cell
FALSE_ALARMS: dict[str, tuple[float, ...]] = {
    "p < 0.05 every 10 s": (23.9, 34.9, 38.8, 35.4, 42.3, 44.0, 44.3, 40.2),
    "p < 0.01 every 10 s": (10.5, 15.5, 18.0, 16.0, 16.8, 18.0, 18.9, 14.6),
    "Flagger 99 %, threshold 5": (0, 45.4, 99.3, 0, 0.4, 98.9, 0, 38.6),
    "Flagger 99 %, threshold 1": (31.7, 99.1, 100, 1.4, 73.3, 100, 0, 99.2),
    "Argo 99 %, failureLimit 3": (0, 66.2, 99.9, 0, 3.4, 99.9, 0, 60.9),
    "1.5 times the baseline, 5 strikes": (27.2, 93.9, 96.6, 97.3, 66.4, 29.7, 23.0, 0),
    "Kayenta every minute": (0, 0, 0.1, 0.1, 1.5, 1.7, 1.1, 1.6),
    "e-process": (0.05, 0.2, 0.3, 0.35, 0.35, 0.65, 0.35, 0.4),
}
PEEKING = {1: 5.6, 6: 13.6, 30: 23.6, 180: 33.6, 1800: 39.6}  # looks: per cent of false alarms

# (rps, weight, canary's error rate): median seconds of ours, probes, Flagger 60 s and 30 s, Argo 0 and 3
TIME_TO_DETECT: dict[tuple[int, float, float], dict[str, float]] = {
    (rps, weight, rate): dict(
        zip(("ours", "probes", "Flagger 60 s", "Flagger 30 s", "Argo 0", "Argo 3"), medians, strict=True)
    )
    for rps, weight, rate, medians in (
        (10, 0.05, 0.008, (1701, 391, 1440, 750, 180, 1080)),
        (10, 0.05, 0.02, (500, 112, 720, 360, 120, 480)),
        (10, 0.05, 0.05, (190, 29, 420, 210, 60, 300)),
        (10, 0.05, 0.2, (47, 5, 360, 180, 60, 240)),
        (10, 0.05, 1.0, (10, 1, 360, 180, 60, 240)),
        (10, 0.5, 0.02, (113, 113, 360, 180, 60, 240)),
        (10, 0.5, 0.05, (30, 30, 360, 180, 60, 240)),
        (10, 0.5, 0.2, (5, 5, 360, 180, 60, 240)),
        (100, 0.05, 0.008, (151, 36, 900, 480, 120, 660)),
        (100, 0.05, 0.02, (48, 11, 360, 180, 60, 240)),
        (100, 0.05, 0.05, (19, 4, 360, 180, 60, 240)),
        (100, 0.05, 0.2, (5, 1, 360, 180, 60, 240)),
        (100, 0.05, 1.0, (1, 1, 360, 180, 60, 240)),
        (100, 0.1, 0.02, (25, 25, 360, 180, 60, 240)),
        (100, 0.1, 0.05, (10, 10, 360, 180, 60, 240)),
        (100, 0.1, 0.2, (3, 3, 360, 180, 60, 240)),
        (100, 0.5, 0.008, (37, 37, 2580, 1290, 360, 1920)),
        (100, 0.5, 0.02, (11, 11, 360, 180, 60, 240)),
        (100, 0.5, 0.05, (4, 4, 360, 180, 60, 240)),
        (100, 0.5, 0.2, (1, 1, 360, 180, 60, 240)),
        (1000, 0.05, 0.008, (15, 4, 2580, 1290, 360, 1980)),
        (1000, 0.05, 0.02, (5, 2, 360, 180, 60, 240)),
        (1000, 0.05, 0.05, (2, 1, 360, 180, 60, 240)),
        (1000, 0.1, 0.008, (9, 9, NEVER, 3180, 960, NEVER)),
        (1000, 0.5, 0.008, (4, 4, NEVER, NEVER, NEVER, NEVER)),
        (1000, 0.5, 0.02, (2, 2, 360, 180, 60, 240)),
    )
}

# (weight, canary's error rate, tolerated ratio): median requests of both versions
REQUESTS_TO_ALARM: dict[tuple[float, float, float], float] = {
    (0.05, 0.005, 1.0): 33_000,
    (0.05, 0.01, 1.0): 9_280,
    (0.05, 0.02, 1.0): 3_480,
    (0.05, 0.05, 1.0): 1_180,
    (0.05, 0.2, 1.0): 260,
    (0.1, 0.005, 1.0): 17_340,
    (0.1, 0.01, 1.0): 5_280,
    (0.1, 0.02, 1.0): 1_960,
    (0.1, 0.05, 1.0): 660,
    (0.1, 0.2, 1.0): 160,
    (0.5, 0.005, 1.0): 6_720,
    (0.5, 0.01, 1.0): 2_280,
    (0.5, 0.02, 1.0): 960,
    (0.5, 0.05, 1.0): 360,
    (0.5, 0.2, 1.0): 100,
    (0.5, 0.005, 1.5): 13_460,
    (0.5, 0.01, 1.5): 3_520,
    (0.5, 0.05, 1.5): 480,
}
REQUESTS_TO_ACCEPT: dict[tuple[float, float, float], float] = {(0.5, 0.01, 2.0): 6_200, (0.5, 0.001, 3.0): 23_200}
CANARY_REQUESTS_TO_ALARM = {0.02: 1_481, 0.05: 149, 0.2: 21, 1.0: 2}
CANARY_REQUESTS_TO_ACCEPT = {0.0: 386, 0.001: 387, 0.003: 884, 0.005: 2_065}

# (slow-down, weight, tolerated): median seconds; "tail" delays 2 % of the calls 7.93 times, which doubles p99 alone
LATENCY: dict[tuple[str, float, float], float] = {
    ("x1.1", 0.05, 0.0): 146,
    ("x1.2", 0.05, 0.0): 44,
    ("x1.5", 0.05, 0.0): 9,
    ("x2", 0.05, 0.0): 4,
    ("x1.2", 0.05, 0.1): 187,
    ("x1.5", 0.05, 0.1): 15,
    ("x2", 0.05, 0.1): 4,
    ("tail", 0.05, 0.0): 148,
    ("tail", 0.05, 0.1): 236,
    ("x1.1", 0.5, 0.0): 30,
    ("x1.2", 0.5, 0.0): 10,
    ("x1.5", 0.5, 0.0): 2,
    ("x2", 0.5, 0.0): 1,
    ("x1.2", 0.5, 0.1): 37,
    ("x1.5", 0.5, 0.1): 3,
    ("x2", 0.5, 0.1): 1,
    ("tail", 0.5, 0.0): 34,
    ("tail", 0.5, 0.1): 51,
}
LATENCY_ACCEPT: dict[tuple[float, float], float] = {
    (0.05, 0.1): 918,
    (0.5, 0.1): 166,
    (0.05, 0.2): 249,
    (0.5, 0.2): 55,
    (0.05, 0.5): 108,
    (0.5, 0.5): 19,
}
# (slow-down, weight, tolerated ratio): median seconds, scraped every 15 s
BUCKETS: dict[tuple[float, float, float], float] = {
    (1.2, 0.05, 1.0): 90,
    (1.2, 0.05, 1.25): 330,
    (1.2, 0.5, 1.0): 30,
    (1.2, 0.5, 1.25): 75,
    (1.5, 0.05, 1.25): 30,
    (2.0, 0.05, 1.25): 15,
}
LATE_REGRESSION = {0.01: (88, 27), 0.003: (450, 243)}  # error rate: median seconds plain, with restarts
QUANTILE_MISSES = {0.5: 2.8, 0.95: 2.8, 0.99: 3.4}  # per cent
BURSTS = {1.0: 0.9, 1.5: 1.4, 2.0: 0.3, 5.0: 0.7, 10.0: 0.4}  # φ: per cent of false alarms, tempered

ROLLOUT_RUNS = 200
# scenario: how it ends, in per cent of the rollouts, and the median seconds; the prototype tolerated no increase at all
ROLLOUTS: dict[str, tuple[str, float, float]] = {
    "good": ("promoted", 87.5, 420),
    "good, probes": ("promoted", 100, 198),
    "good, 500 rps": ("promoted", 100, 125),
    "good, 10 rps": ("timed out", 100, 600),
    "good, 10 rps, probes": ("promoted", 18.5, NEVER),
    "good, 10 rps, probes, low-traffic profile": ("promoted", 96.5, 625),
    "errors 0.8 %, no increase tolerated": ("rolled back", 99.75, 180),
    "errors 1 %, no increase tolerated": ("rolled back", 100, 135),
    "errors 2 %, no increase tolerated": ("rolled back", 100, 50),
    "errors 5 %": ("rolled back", 100, 20),
    "errors 5 %, 10 rps, no increase tolerated": ("rolled back", 99.5, 165),
    "errors 5 %, 10 rps, probes, no increase tolerated": ("rolled back", 100, 40),
    "latency x1.2": ("rolled back", 98.3, 280),
    "latency x1.5": ("rolled back", 100, 25),
    "latency x2": ("rolled back", 100, 10),
    "latency x1.2, probes": ("rolled back", 100, 60),
    "tail-only p99 x2": ("rolled back", 88, 305),
    "tail-only p99 x2, probes": ("rolled back", 100, 75),
    "both 0.9 % errors": ("promoted", 70.5, NEVER),
    "both 0.9 % errors, probes": ("promoted", 100, 340),
}
