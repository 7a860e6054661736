"""From what lies in the store and in MLflow to what people look at: the ``t5grid`` command, reports, plots."""
