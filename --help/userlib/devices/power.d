/tmp/lead/main/--help/userlib/devices/power.o: \
 /tmp/lead/main/userlib/devices/power.c \
 /tmp/lead/main/userlib/devices/power.h \
 /tmp/lead/main/userlib/devices/bus.h
/tmp/lead/main/userlib/devices/power.h:
/tmp/lead/main/userlib/devices/bus.h:
