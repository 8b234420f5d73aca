/tmp/h-pv/main/--help/userlib/devices/ioapic.o: \
 /tmp/h-pv/main/userlib/devices/ioapic.c \
 /tmp/h-pv/main/userlib/devices/ioapic.h \
 /tmp/h-pv/main/userlib/devices/bus.h \
 /tmp/h-pv/main/userlib/devices/irq.h
/tmp/h-pv/main/userlib/devices/ioapic.h:
/tmp/h-pv/main/userlib/devices/bus.h:
/tmp/h-pv/main/userlib/devices/irq.h:
