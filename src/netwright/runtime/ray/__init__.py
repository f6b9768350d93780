"""The one folder that knows Ray: shards, replicas and children as actors, on one machine or on many.

The driver is the process that the user started; it makes the shards and the replicas, and each replica its children.
Ray ends them all when the driver ends, however it does. Whoever dies is made again by whoever made it: Ray's own
restarts are not used, since they would bring an actor back as it was at first.

Public names: ``connection`` has ``connected``; ``packing`` has ``pack``, ``unpack`` and ``put``; ``children`` has
``RayChildren`` and ``RoomWatch``; ``child_actor`` has ``ChildActor`` and ``LogFolder``; ``replicas`` has
``Assignment``, ``ShardActor`` and ``ReplicaActor``; ``cluster`` has ``Cluster``.
"""
