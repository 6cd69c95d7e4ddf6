"""What the service answers, for its OpenAPI documentation."""

from pydantic import BaseModel


class Item(BaseModel):
    """An item for people; `picture` is a name below /images."""

    id: str
    title: str | None = None
    category: str | None = None
    picture: str | None = None


class Listed(Item):
    """An item of a list: `rank` from 1; `score` is what the model ranks by."""

    rank: int
    score: float


class Near(Item):
    """A neighbour and its cosine."""

    cosine: float


class Neighbour(BaseModel):
    """What an item adds to another one's score, `hops` steps away; `chosen`: the user had it."""

    modality: str
    item: str
    title: str | None = None
    hops: int
    share: float
    chosen: bool


class Explanation(BaseModel):
    """`collaborative`, all shares and `rest` (of neighbours beyond the limit) sum to `score`.

    So do `collaborative` and all of `through`, by modality.
    """

    user: str
    item: str
    score: float
    collaborative: float
    through: dict[str, float]
    modalities: dict[str, float]
    neighbours: list[Neighbour]
    rest: float


class Health(BaseModel):
    """What is served; `beside` is the second model's, where there is one."""

    status: str
    model: str
    dataset: str
    users: int
    items: int
    by: list[str]
    modalities: list[str]
    beside: "Health | None" = None


class Problem(BaseModel):
    """Why a request was refused, in a sentence."""

    error: str
