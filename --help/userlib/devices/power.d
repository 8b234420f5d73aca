/tmp/h-pv/main/--help/userlib/devices/power.o: \
 /tmp/h-pv/main/userlib/devices/power.c \
 /tmp/h-pv/main/userlib/devices/power.h \
 /tmp/h-pv/main/userlib/devices/bus.h
/tmp/h-pv/main/userlib/devices/power.h:
/tmp/h-pv/main/userlib/devices/bus.h:
