#!/bin/sh
# In a pod "localhost" is the pod: the lab's registry answers there under its own name, through its door on the node. In a
# container on the host's network the port is taken, by the registry itself.
socat TCP-LISTEN:5000,bind=127.0.0.1,fork,reuseaddr TCP:10.244.0.1:5001 2>/dev/null &
exec buildkitd "$@"
