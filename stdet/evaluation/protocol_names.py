"""Names of the protocols of ``crosswalk.py``, apart so that `--help` needs nothing else."""

PROTOCOL_NAMES = (
    "stdet",
    "coco",
    "sstnet",
    "safit",
    "stdet_masks",
    "basicirstd",
    "dnanet",
    "deeppro",
    "pyirstd_distance",
    "pyirstd_overlap",
    "pyirstd_errors",
    "so_hota",
    "antiuav",
)
"""In the order of tables: boxes, masks, tracks."""
