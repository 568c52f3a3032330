"""Networks: input layouts, architectures, hook points, checkpoint files, devices.

Imports `processes`.
"""
