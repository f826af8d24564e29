"""Where gas and time go: structured work, which a coprocessor could take over, against glue.

    from solder.profile import profile_block

    profile = profile_block(*solder.load_block("examples/blocks/19933122"))
    profile.structured.gas, profile.structured.time
    print(profile.table())

``profile_block`` meters a whole block, ``profile_case`` the transaction of a state-and-transaction file, and
``profile_call`` one call on a state. The figures are explained in ``docs/profile.md``.
"""

from solder.profile.bill import Bill, Estimate, Part, Shares, Total, sum_of
from solder.profile.meter import Profile, profile_block, profile_call, profile_case

__all__ = [
    "Bill",
    "Estimate",
    "Part",
    "Profile",
    "Shares",
    "Total",
    "profile_block",
    "profile_call",
    "profile_case",
    "sum_of",
]
