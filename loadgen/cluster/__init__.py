"""Load from many machines: an Indexed Job of pods, each with one share of one schedule, merged exactly.

    job.py        the Job as a document (pure)
    api.py        the one door of loadgen to the API server: create the Job, delete it
    collector.py  where pods hand in what they see; each is a member of a LoadSession
    pod.py        what runs in a pod: a worker process, and its line to the collector

The contract between a pod and the collector, over one WebSocket (`GET /workers/{index}`, `Authorization: Bearer`):

1. The pod comes and waits. When all of them are there, each is told at the same instant what to do and in how many
   seconds to begin: `{"assignment": {...}, "start_in_s": 3}`. Clocks are not compared; the skew is that of the network.
2. The pod passes on every line of its worker (core/snapshot.py): started, snapshots, finished or failed.
3. The collector passes on commands: stop, rate. A closed line ends the worker at once, on either side.

A pod that goes away before it has finished, or that is silent for longer than its heartbeat, is lost: the others are
stopped, and the run is marked invalid. A pod that comes when the run has begun is refused.
"""
