/tmp/lead/main/--help/userlib/devices/aml.o: \
 /tmp/lead/main/userlib/devices/aml.c \
 /tmp/lead/main/userlib/devices/aml.h
/tmp/lead/main/userlib/devices/aml.h:
