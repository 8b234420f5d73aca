/tmp/lead/main/--help/userlib/devices/uart.o: \
 /tmp/lead/main/userlib/devices/uart.c \
 /tmp/lead/main/userlib/devices/uart.h \
 /tmp/lead/main/userlib/devices/bus.h \
 /tmp/lead/main/userlib/devices/irq.h
/tmp/lead/main/userlib/devices/uart.h:
/tmp/lead/main/userlib/devices/bus.h:
/tmp/lead/main/userlib/devices/irq.h:
