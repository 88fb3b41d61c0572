"""A chain small enough to be mined in a second once its programs are compiled."""

SETTINGS = (
    'menu.architectures=["softmax"]',
    "training.check_every=20",
    "training.eval_samples=400",
    "training.horizon_steps=600",
    "protocol.abandon_steps=600",
    "scheme.t_acc=0.8",
    "data.examples=1500",
    "mining.tasks=[]",
    "mining.blocks=5",
    "protocol.checkpoint_every=40",
    "protocol.challenges=1",
)
