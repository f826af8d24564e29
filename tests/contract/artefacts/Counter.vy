# SPDX-License-Identifier: MIT OR Apache-2.0
# pragma version ^0.4.0
event Counted:
    who: indexed(address)
    total: uint256
struct Share:
    owner: address
    parts: uint256
total: public(uint256)
@external
def count(by: uint256 = 1) -> uint256:
    self.total += by
    log Counted(who=msg.sender, total=self.total)
    return self.total
@view
@external
def shares(owners: DynArray[address, 4]) -> DynArray[Share, 4]:
    found: DynArray[Share, 4] = []
    for owner: address in owners:
        found.append(Share(owner=owner, parts=self.total))
    return found
