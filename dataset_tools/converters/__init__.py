"""Published layouts to data sets, one layout a file; `registry` names them."""
