"""Room for what clients are still sending."""

from random import Random

from sojourn.live.room import Room


class Client:
    def __init__(self, room: Room) -> None:
        self.room, self.size, self.is_gone = room, 0, False

    def hold(self, size: int) -> None:
        self.size = size
        self.room.hold(self, size)

    def evict(self) -> None:
        self.size, self.is_gone = 0, True


def test_who_holds_most_has_to_go():
    """Not who comes last, and not more of them than needed."""
    room = Room(100)
    first, second, third = (Client(room) for _ in range(3))
    first.hold(40)
    second.hold(50)
    third.hold(10)
    assert not any(client.is_gone for client in (first, second, third))
    third.hold(11)
    assert (first.is_gone, second.is_gone, third.is_gone) == (False, True, False)
    assert room.total == 51
    third.hold(200)
    assert (first.is_gone, third.is_gone, room.total) == (False, True, 40)


def test_the_total_is_the_sum():
    """Whatever is held and let go, never more than there is room for."""
    chance, room = Random(3), Room(1000)
    clients = [Client(room) for _ in range(30)]
    for _ in range(2000):
        chance.choice(clients).hold(chance.choice((0, 1, 40, 200, 600)))
        assert room.total == sum(client.size for client in clients) <= 1000
    assert any(client.is_gone for client in clients)
    for client in clients:
        client.hold(0)
    assert room.total == 0
