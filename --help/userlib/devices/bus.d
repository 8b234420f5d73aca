/tmp/lead/main/--help/userlib/devices/bus.o: \
 /tmp/lead/main/userlib/devices/bus.c \
 /tmp/lead/main/userlib/devices/bus.h
/tmp/lead/main/userlib/devices/bus.h:
