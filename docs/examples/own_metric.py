"""A metric of one's own: the harmonic mean of Precision@k and Recall@k."""

import numpy as np
from recbole.evaluator.base_metric import TopkMetric


class F1(TopkMetric):
    """2 hits / (k + positives) of each user, averaged over the users."""

    def calculate_metric(self, dataobject):
        hits, positives = self.used_info(dataobject)  # bool [n_users, longest k], int [n_users]
        k = np.arange(1, hits.shape[1] + 1)
        return self.topk_result("f1", 2 * hits.cumsum(axis=1) / (k + positives[:, None]))
