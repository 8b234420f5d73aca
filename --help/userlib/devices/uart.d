/tmp/h-pv/main/--help/userlib/devices/uart.o: \
 /tmp/h-pv/main/userlib/devices/uart.c \
 /tmp/h-pv/main/userlib/devices/uart.h \
 /tmp/h-pv/main/userlib/devices/bus.h \
 /tmp/h-pv/main/userlib/devices/irq.h
/tmp/h-pv/main/userlib/devices/uart.h:
/tmp/h-pv/main/userlib/devices/bus.h:
/tmp/h-pv/main/userlib/devices/irq.h:
