/tmp/h-pv/main/--help/userlib/devices/acpi.o: \
 /tmp/h-pv/main/userlib/devices/acpi.c \
 /tmp/h-pv/main/userlib/devices/acpi.h \
 /tmp/h-pv/main/userlib/devices/aml.h \
 /tmp/h-pv/main/userlib/devices/power.h \
 /tmp/h-pv/main/userlib/devices/bus.h \
 /tmp/h-pv/main/userlib/devices/rtc.h \
 /tmp/h-pv/main/userlib/devices/irq.h \
 /tmp/h-pv/main/userlib/devices/uart.h
/tmp/h-pv/main/userlib/devices/acpi.h:
/tmp/h-pv/main/userlib/devices/aml.h:
/tmp/h-pv/main/userlib/devices/power.h:
/tmp/h-pv/main/userlib/devices/bus.h:
/tmp/h-pv/main/userlib/devices/rtc.h:
/tmp/h-pv/main/userlib/devices/irq.h:
/tmp/h-pv/main/userlib/devices/uart.h:
