/tmp/h-pv/main/--help/userlib/devices/rtc.o: \
 /tmp/h-pv/main/userlib/devices/rtc.c \
 /tmp/h-pv/main/userlib/devices/rtc.h \
 /tmp/h-pv/main/userlib/devices/bus.h \
 /tmp/h-pv/main/userlib/devices/irq.h
/tmp/h-pv/main/userlib/devices/rtc.h:
/tmp/h-pv/main/userlib/devices/bus.h:
/tmp/h-pv/main/userlib/devices/irq.h:
