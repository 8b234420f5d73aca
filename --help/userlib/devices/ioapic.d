/tmp/lead/main/--help/userlib/devices/ioapic.o: \
 /tmp/lead/main/userlib/devices/ioapic.c \
 /tmp/lead/main/userlib/devices/ioapic.h \
 /tmp/lead/main/userlib/devices/bus.h \
 /tmp/lead/main/userlib/devices/irq.h
/tmp/lead/main/userlib/devices/ioapic.h:
/tmp/lead/main/userlib/devices/bus.h:
/tmp/lead/main/userlib/devices/irq.h:
