"""Birds that record which of their images are requested."""

from tasnlib.data.batch import Batch
from tasnlib.data.birds import Birds, BirdsBatch


class Watched(Birds):
    """Records the requested images, one list per batch."""

    def __init__(self, birds: Birds):
        super().__init__(BirdsBatch(birds.images, birds.labels, birds.boxes), birds.config)
        self.asked: list[list[int]] = []

    def __getitems__(self, indices: list[int]) -> Batch:
        self.asked.append(list(indices))
        return super().__getitems__(indices)
