"""SMORE: Spectrum-based Modality Representation Fusion Graph Convolution (Ong and Khong, WSDM 2025)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_micro.models.memory import Sizes
from recbole_micro.models.mgcn import MGCN
from recbole_micro.nn.graph import Graph, largest


class SMORE(MGCN):
    r"""MGCN on features filtered by frequency, with a fused view beside those of the modalities.

    .. math::
        F^m = \mathcal F(W_m f^m + b_m), \quad x^m = \mathcal F^{-1}(F^m \odot w_m), \quad
        x^f = \mathcal F^{-1}(w_f \odot \prod_m F^m), \quad S^f = \max_m \tilde S^m, \quad
        p_m = \text{softmax}(Q_m(h^f)), \quad
        g = \frac{1}{M + 1} \Big( g_f \odot h^f + \sum_m g_m \odot p_m \odot h^m \Big)

    :math:`h` from x as in MGCN, that of the fused view on the union of the modalities' graphs with the
    greater weight; w are complex and trained, :math:`g_m = \text{dropout}(\sigma(W'_m c + b))`, the softmax
    of the preferences p runs over the d dimensions.  The product, and M, are over the modalities that an
    item has.  https://arxiv.org/abs/2412.14978.  Options and their defaults: `properties/model/SMORE.yaml`.
    """

    @classmethod
    def graph_sizes(cls, config: Mapping[str, Any], sizes: Sizes) -> dict[str, int]:
        graphs = super().graph_sizes(config, sizes)
        return graphs | {"fused item graph": graphs["item graphs"]}

    @classmethod
    def n_step(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        return super().n_step(config, sizes) + 20 * sizes.n_items * config["embedding_size"]

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        size = config["embedding_size"]
        self.side_mean = True
        self.dropout = nn.Dropout(config["dropout"])
        n_filters = len(self.modalities) + 1  # the last one is the fused view's
        self.filters = nn.Parameter(torch.randn(n_filters, size // 2 + 1, 2))  # real and imaginary parts
        self.gates.append(nn.Linear(size, size))
        self.own_gates.append(nn.Linear(size, size))
        self.fused_graph: Graph = largest(self.item_graphs)

    def side_modules(self, size: int) -> None:
        self.preferences = nn.ModuleList(
            nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, size, bias=False))
            for _ in self.modalities
        )

    def item_views(self) -> list[Tensor]:
        """h^m of all items, and last h^f, [n_items, d] each."""
        graphs = [*self.item_graphs, self.fused_graph]
        inputs = zip(self.gates, self.filtered(), graphs, strict=True)
        return [self.spread(gate(x), graph) for gate, x, graph in inputs]

    def filtered(self) -> list[Tensor]:
        """x^m of all items, and last x^f, [n_items, d] each; zeros where an item has none of them."""
        with torch.autocast(self.filters.device.type, enabled=False):
            weights = torch.view_as_complex(self.filters)
            size, fused, inputs = 0, torch.ones((), device=weights.device, dtype=weights.dtype), []
            for transform in self.transforms:
                x = transform().to(self.filters.dtype)
                spectrum, size = torch.fft.rfft(x, norm="ortho"), x.shape[1]
                inputs.append(spectrum)
                fused = fused * torch.where(transform.mask[:, None], spectrum, 1)
            inputs.append(fused * self.present[self.n_users :].any(1, keepdim=True))
            return [
                torch.fft.irfft(part * weight, n=size, norm="ortho")
                for part, weight in zip(inputs, weights, strict=True)
            ]

    def side(self, c: Tensor, views: list[Tensor], present: Tensor) -> Tensor:
        fused = views[-1]
        gates = [self.dropout(gate(c).sigmoid()) for gate in self.own_gates]
        parts = [
            gate * F.softmax(preference(fused), -1) * view * has[:, None]
            for gate, preference, view, has in zip(
                gates[:-1], self.preferences, views[:-1], present.unbind(1), strict=True
            )
        ]
        return self.joined(gates[-1] * fused + sum(parts), present)
