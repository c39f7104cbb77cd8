"""How our properties are checked: the same examples every time, and no verdict on how busy the machine is."""

from hypothesis import settings

repeatable = settings(derandomize=True, deadline=None)
