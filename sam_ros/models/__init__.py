"""Published weights on this machine's disk: which there are, where they lie, how they get there.

The node only looks here (:func:`sam_ros.models.cache.find`); what downloads is the command
``ros2 run sam_ros models``, or ``python -m sam_ros.models``.
"""
