# pragma version 0.4.3
# A sum that everybody may add to and its owner may clear.

event Added:
    who: indexed(address)
    amount: uint256

owner: public(address)
total: public(uint256)


@deploy
def __init__(start: uint256):
    self.owner = msg.sender
    self.total = start


@external
def add(amount: uint256) -> uint256:
    assert amount != 13, "unlucky"
    self.total += amount
    log Added(who=msg.sender, amount=amount)
    return self.total


@external
def clear():
    assert msg.sender == self.owner, "not the owner"
    self.total = 0
