"""What is promised of the whole product, tried many times. Too slow for `make test`; each command
says whether it holds.

make acceptance                        20 releases of each case on a real mesh (about three quarters of an hour)
make acceptance ACCEPTANCE="--runs 2"  a first look
python -m tests.acceptance.loadgen     a million mutated responses; paired against unpaired comparison

cases.py    what is played, and how it has to end
takes.py    one release on the running stage, from its start to its end
judge.py    all of them in turn, the account, the exit status
loadgen.py  the load generator's own
"""
