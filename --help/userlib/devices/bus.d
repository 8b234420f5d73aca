/tmp/h-pv/main/--help/userlib/devices/bus.o: \
 /tmp/h-pv/main/userlib/devices/bus.c \
 /tmp/h-pv/main/userlib/devices/bus.h
/tmp/h-pv/main/userlib/devices/bus.h:
