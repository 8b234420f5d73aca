/tmp/h-pv/main/--help/userlib/devices/aml.o: \
 /tmp/h-pv/main/userlib/devices/aml.c \
 /tmp/h-pv/main/userlib/devices/aml.h
/tmp/h-pv/main/userlib/devices/aml.h:
