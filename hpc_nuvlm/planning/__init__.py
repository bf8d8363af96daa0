"""Planning: what a training will need, worked out before it waits in a queue and without its devices or weights."""

from hpc_nuvlm.planning.devices import DEVICES, Device, device_named
from hpc_nuvlm.planning.plan import Need, Place, plan

__all__ = ["DEVICES", "Device", "Need", "Place", "device_named", "plan"]
