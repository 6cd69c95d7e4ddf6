"""Building blocks of models: graphs, nearest neighbours, message passing, backbones, losses."""
