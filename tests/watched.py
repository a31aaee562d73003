"""Birds that note which of their images are asked for."""

from tasnlib.data.batch import Batch
from tasnlib.data.birds import Birds, BirdsBatch


class Watched(Birds):
    """Notes which images were asked for, one list a batch."""

    def __init__(self, birds: Birds):
        super().__init__(BirdsBatch(birds.images, birds.labels, birds.boxes), birds.config)
        self.asked: list[list[int]] = []

    def __getitems__(self, indices: list[int]) -> Batch:
        self.asked.append(list(indices))
        return super().__getitems__(indices)
