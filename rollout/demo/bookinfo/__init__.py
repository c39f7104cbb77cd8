"""bookinfo, Istio's example application: four services, `reviews` in three versions.

    productpage ─┬─> details
                 └─> reviews v1 | v2 | v3 ──> ratings      (v1 shows no stars, v2 black ones, v3 red ones)

Paths, JSON and texts are those of the original, so that every Istio document and tutorial written for it works
unchanged. `python -m rollout.demo.bookinfo --help` runs one workload, or all of them in one process.
"""
