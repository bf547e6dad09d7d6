"""How good saliency maps are: completeness and soundness, from probabilities alone.

For an image and a label a, f is the probability that the net gives to a, and g is the mean of that
probability over masked copies of the image, which keep the pixels that the map of a ranks highest.

Source: Gupta et al. 2022, arXiv:2211.02912; the formulas are those of its released code, and the
constants in the signatures are those that its evaluation passes. Insertion and deletion are those
of Petsiuk et al. 2018, arXiv:1806.07421, as means over the copies that the released code makes.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def completeness(
    g: Float[np.ndarray, "*maps"],
    f: Float[np.ndarray, "*maps"],
    e1: float = 0.1,
    alpha: float = 1.0,
) -> Float[np.ndarray, "*maps"]:
    r"""Do masked copies keep the label's probability?
    :math:`\min(\max(\epsilon_1, g) / \min(\alpha, f), 1)`."""
    return np.minimum(np.maximum(e1, g) / np.maximum(np.minimum(alpha, f), _TINY), 1)


def soundness(
    g: Float[np.ndarray, "*maps"], f: Float[np.ndarray, "*maps"], beta: float = 0.1
) -> Float[np.ndarray, "*maps"]:
    r"""Are masked copies no more convincing of the label than the image is?
    :math:`\min(\max(\beta, f) / g, 1)`."""
    return np.minimum(np.maximum(beta, f) / np.maximum(g, _TINY), 1)


_TINY = 1e-12  # a probability of 0 must not be divided by


def per_image(
    inserted: Float[np.ndarray, "n labels copies"],
    deleted: Float[np.ndarray, "n fewer"],
    f: Float[np.ndarray, "n labels"],
    e1: float = 0.1,
    alpha: float = 1.0,
    beta: float = 0.1,
) -> dict[str, Float[np.ndarray, " n"]]:
    """Each metric of a set of maps, one for each label of each image.

    Args:
        inserted: probability of each label over copies that keep ever more of its map's top pixels.
        deleted: probability of the net's own label over copies that lose ever more of them.

    Returns:
        completeness: of the label that the net itself gives to the image.
        soundness: mean over the other labels.
        worst_completeness, worst_soundness: smallest over all labels.
        insertion_auc: g of the net's own label.
        deletion_auc: mean of `deleted`.
    """
    own: Int[np.ndarray, " n"] = f.argmax(axis=1)
    rows = np.arange(len(f))
    g = inserted.mean(axis=2)
    complete, sound = completeness(g, f, e1, alpha), soundness(g, f, beta)
    others = sound.sum(axis=1) - sound[rows, own]
    return {
        "completeness": complete[rows, own],
        "soundness": others / (f.shape[1] - 1),
        "worst_completeness": complete.min(axis=1),
        "worst_soundness": sound.min(axis=1),
        "insertion_auc": g[rows, own],
        "deletion_auc": deleted.mean(axis=1),
    }
