"""LATTICE against its equations."""

from torch import softmax

from tests.models.shared import LearnsInTheFirstBatch, ModelTests, SamplesEdges
from tests.support.dense import bpr, half_squares, knn_graph, lightgcn, symmetric, unit


class TestLATTICE(LearnsInTheFirstBatch, SamplesEdges, ModelTests):
    name = "LATTICE"
    small = dict(knn_k=4, n_item_layers=2, reg_weight=0.01)
    cases = {
        "symmetric": dict(adjacency="symmetric", n_ui_layers=1),
        "MF": dict(cf_model="MF"),
        "learned every step": dict(graph_learning="step", lambda_coeff=0.2),
        "learned edges": dict(graph_learning="edges", lambda_coeff=0.0),
        "initial graph alone": dict(graph_learning="off"),
        "no item layers": dict(n_item_layers=0),
        "negatives kept": dict(clamp_negative=False, knn_k=60, n_item_layers=1),
        "trained features": dict(freeze_features=False, graph_learning="step"),
        "L2 on the ID embeddings": dict(reg_on="ego"),
    }
    band = (0.5, 1.0)

    def forward(self, model, knn_k, n_item_layers, **options):
        share = 1.0 if options.get("graph_learning") == "off" else options.get("lambda_coeff", 0.7)
        clamp, ids = options.get("clamp_negative", True), model.backbone.item_embedding.weight
        initial = learned = 0
        weights = softmax(model.item_graph.weight, 0)
        for weight, graph, modality in zip(
            weights, model.item_graph.graphs, model.modalities.values(), strict=True
        ):
            transformed = graph.raw @ graph.transform.weight.T + graph.transform.bias
            initial = initial + weight * symmetric(knn_graph(modality.values, modality.mask, knn_k, clamp))
            learned = learned + weight * knn_graph(transformed, modality.mask, knn_k, clamp)
        a = share * initial + (1 - share) * symmetric(learned)
        h = ids
        for _ in range(n_item_layers):
            h = a @ h
        if options.get("cf_model") == "MF":
            user, item = model.backbone.user_embedding.weight, ids
        else:
            how = options.get("adjacency", "mean_self_loop")
            user, item = lightgcn(model, options.get("n_ui_layers", 2), how)
        return user, item + unit(h)

    def losses(self, model, batch, reg_weight, reg_on="propagated", **options):
        users, positives, negatives = batch["user_id"], batch["item_id"], batch["neg_item_id"]
        user, item = self.forward(model, **options)
        loss = bpr(user[users], item[positives], item[negatives])
        if reg_on == "ego":
            user, item = model.backbone.user_embedding.weight, model.backbone.item_embedding.weight
        squares = half_squares(user[users], item[positives], item[negatives])
        return loss, reg_weight * squares / len(users)
