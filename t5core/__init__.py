"""t5core: the science of t5grid, useful by itself: text, objectives, tasks, the T5 model, training, decoding."""
