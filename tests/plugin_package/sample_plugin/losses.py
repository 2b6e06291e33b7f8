"""The mean of the squared scores of normal videos."""

from torch import Tensor

from anomaly_pretext.plugins import Bags, LossParts, LossTerm, from_function, mean_of_chosen, normal_instances
from sample_plugin.settings import QuietConfig


def quiet(bags: Bags, config: QuietConfig) -> tuple[Tensor, LossParts]:
    loss = mean_of_chosen(bags.scores.square(), normal_instances(bags))
    return loss, {"quiet": loss.detach()}


QUIET = LossTerm(
    config=QuietConfig,
    make=from_function(quiet),
    about="every snippet of a normal video scores low",
    ablation_weight=0.1,
)
