"""Figures: pure functions, tensors in, matplotlib Figure out. One topic per file.

One colour means one thing throughout the course: blue is the structure image and the master net, orange the detail
image and the part net, green the attention network, grey the baselines. The palette is Okabe and Ito's (2008), whose
colours can be distinguished with any kind of colour vision. Attention maps are drawn in "magma".

Every notebook shows its figures with `plots.show`, `plots.show_file` and `plots.show_strip` and takes colours and names
of nets from `plots.COLOURS` and `plots.LABELS`: only these are re-exported, so that a hundred cells need only `plots`.
"""

from tasnlib.course.plots.notebook_display import show, show_file, show_strip
from tasnlib.course.plots.style import COLOURS, LABELS

__all__ = ["COLOURS", "LABELS", "show", "show_file", "show_strip"]
