"""What is promised of the whole product, tried many times on a real mesh. Too slow for `make test`.

make acceptance                        20 runs of each case (about three quarters of an hour)
make acceptance ACCEPTANCE="--runs 2"  a first look

cases.py   what is played, and how it has to end
takes.py   one release on the running stage, from its start to its end
judge.py   all of them in turn, the account, the exit status
"""
